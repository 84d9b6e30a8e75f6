"""What the addresses of cameras begin with."""

STREAMS = ("rtsp://", "rtsps://", "udp://", "tcp://")
HTTP = ("http://", "https://")
CAMERAS = (*STREAMS, *HTTP, "/dev/", "csi:", "gst:")

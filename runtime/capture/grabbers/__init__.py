"""The ways of getting at a camera: V4L2, network streams, MJPEG over HTTP, GStreamer, CSI."""

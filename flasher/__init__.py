"""The workstation's side of flashing: signing, SSH, and the conversation with the device."""

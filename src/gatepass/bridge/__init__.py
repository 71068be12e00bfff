"""The remote server, brought to programs that can not get in by themselves."""

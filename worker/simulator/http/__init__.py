"""The simulated Wix on a socket."""

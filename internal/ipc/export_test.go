package ipc

// Restore restores the socket without waiting for the guard.
var Restore = (*Listener).restore

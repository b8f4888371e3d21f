package ipc

// Restore is for tests that do not wait for the guard.
var Restore = (*Listener).restore

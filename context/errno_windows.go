package buildctx

// isNotDirectory is covered by fs.ErrNotExist on Windows.
func isNotDirectory(error) bool { return false }

package project

// Owner returns 0: on Windows a folder's owner is not told by a number.
func Owner(string) int { return 0 }

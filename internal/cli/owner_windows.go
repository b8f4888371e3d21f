package cli

// ownerOf returns 0: files have no owner by number here.
func ownerOf(string) int { return 0 }

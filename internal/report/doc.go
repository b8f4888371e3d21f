// Package report turns what stoker knows into what it says: pictures, records
// and suggestions into the wire structs of internal/api.
//
// It is shared by the daemon and by the commands that compute on the spot, so
// that an answer does not depend on who gave it. Its functions are pure: they
// read immutable values and return new ones, and are safe for concurrent use.
//
// Nothing in here copies the value of a build arg, an env variable or a secret,
// and addresses lose the credentials that may stand in them.
package report

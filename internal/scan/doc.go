// Package scan has the vulnerability scanner that is installed look at an image, and reads what it says.
//
// [Run] goes through the scanners in the order asked for ([Trivy], [Grype], [Scout]) and takes the first that gives an
// answer. Each has its own form of output; a [Result] is one for all. Where none answers, the result says that the image
// was not scanned, why, and how to get a scanner: that nothing was found and that nothing was looked for are never the
// same. An image is handed over as an OCI layout on disk, which all three read.
//
// Scanners run in an empty folder, so that a configuration in the repository cannot point them elsewhere; the user's own
// configuration holds. Docker Scout sends the list of packages to its service, so it runs only where it is named.
//
// Results are values. Run is safe for concurrent use.
package scan

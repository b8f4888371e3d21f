// Package scan runs an installed vulnerability scanner on an image, and reads its report. It also runs cosign, which
// signs images and verifies signatures.
//
// [Run] tries scanners ([Trivy], [Grype], [Scout]) in the order that is asked for, and uses the first one that returns a
// report. Each has another format, which is converted to a [Result]. If none returns a report, the result says that the
// image was not scanned, why, and how to get a scanner, so that this cannot be mistaken for an image without findings.
// Scanners get the image as an OCI layout on disk.
//
// Scanners run in an empty folder, so that files in the repository cannot configure them. The user's own configuration
// is used. Docker Scout sends the list of packages to its service, so it only runs if it is named.
//
// Results are plain values. All functions are safe for concurrent use.
package scan

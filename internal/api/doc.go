// Package api has the structs that the daemon serves on its socket and that --json
// prints. It has no behaviour and imports no other package of stoker, so that server,
// client and printers can share it.
//
// Every top-level answer has a Schema "stoker.<command>/v1". Within a version fields may
// be added, but never renamed. Names are camelCase, sizes are in bytes, times are RFC
// 3339, durations are in seconds. A path that is not UTF-8 comes with its exact bytes in
// PathBytes. Each schema has a page in docs/json.
package api

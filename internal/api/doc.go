// Package api holds the wire structs of stoker: what the daemon serves on its
// socket and what --json prints. It has no behaviour and imports nothing of
// stoker's, so that server, client and printers share it.
//
// Every top-level answer has a Schema "stoker.<command>/v1". Fields may be
// added within a version, never renamed. Names are camelCase, sizes bytes,
// times RFC 3339, durations seconds. Each schema has a page in docs/json.
package api

// Package dockerfile reads Dockerfiles through BuildKit's own code.
//
// [Convert] runs the Dockerfile frontend in process and returns a [Plan]: the
// steps that a build of this target would have, and exactly what the builder
// would ask the client for (BuildKit: frontend/dockerfile/builder). Nothing is
// executed and nothing is dialled: base images are looked up through a
// [Resolver], or assumed, and the Plan says which. [Parse] is the other view,
// faithful to the source text, for suggestions and edits.
//
// A plan also has the operations that make up its steps, each with the digest
// and the inputs by which the builder will look for it in its cache ([Op]).
//
// It is the only importer of BuildKit's Dockerfile frontend. All values are
// immutable once returned and safe for concurrent use.
package dockerfile

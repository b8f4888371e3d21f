// Package cache is the model of what a build reuses. It has no I/O: cache/buildkit
// observes builds, cache/store keeps what is known of them, and this package works
// out what that means. It answers three questions.
//
// What did a build reuse? A [Record] is one finished build in a builder's history; a
// [Step] is one instruction of its Dockerfile, and the step's [Outcome] says whether
// BuildKit executed it. Ratios always count steps (RUN, COPY, ADD, WORKDIR), never
// BuildKit's internal vertices. See [Classify] and [Stats].
//
// Why did a step run? See [Explain].
//
// What will the next build reuse? The rest of this comment is about that.
//
// # The mirror of a builder's cache
//
// BuildKit finds results by cache keys, and its cache is a graph of these. A [Mirror]
// holds the part of that graph that observed builds have shown:
//
//   - A key ([KeyID]) stands for one state of an operation: what it does, and all that
//     it was made from. What has no inputs, such as an image, and a digest of content
//     have root keys, made of that digest.
//   - A link ([Link]) leads from a key of an input to a key of the operation that takes
//     it in. An operation has the keys to which all its inputs lead.
//   - A life ([Life]) says whether the builder still holds the result of a key.
//   - A guess is a link that perhaps exists: a build followed one of several, and
//     nothing tells which.
//
// After one build of
//
//	FROM alpine
//	COPY main.go .
//	RUN go build
//
// the mirror holds the root keys of the image and of the content of main.go, and two
// keys with results, K1 of the COPY and K2 of the RUN:
//
//	image   ──input 0──╮
//	                   ├──► K1 ──input 0──► K2
//	content ──input 1──╯
//
// If main.go is edited, its content has a key from which no link leads anywhere. The
// COPY then has no key, although the image leads to K1, and will run. So will the RUN,
// which is reached from K1 alone. If the builder drops the result of K2 instead, the
// COPY is reused and the RUN will run.
//
// # Prediction
//
// A [Graph] is a build as the solver sees it. [Mirror.Predict] first finds the keys of
// each node, inputs before what takes them in, as a sighting. Not all is known before
// a build, so that a sighting has a lower bound, the keys that the node surely has,
// and an upper bound, those that it might have. Then Predict goes the other way, from
// the targets to the sources, and asks as the solver does for keys or for results. A
// node is a hit where even the lower bound has a result, a miss where even the upper
// bound has none, and else unknown, for a stated [Uncertainty]. After the build,
// [Mirror.Learn] adds to the mirror what the [Fate] of each node shows.
//
// All values are immutable once built and safe for concurrent use.
package cache

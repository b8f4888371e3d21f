// Package cache is the model of what a build reuses. It has no I/O: records
// come from cache/buildkit, are kept by cache/store, and are turned here into
// outcomes and statistics.
//
// A [Record] is one finished build in a builder's history; a [Step] is one
// instruction that BuildKit executed or did not have to; its [Outcome] says
// which. Ratios always count Dockerfile steps (RUN, COPY, ADD, WORKDIR), never
// BuildKit's internal vertices. A [Key] is what the builder will look up for an
// operation of a plan. A [Mirror] is what is known of a builder's cache from the
// builds that it made: it predicts what the next build of a [Graph] executes, as
// BuildKit's solver would decide.
//
// All values are immutable once built and safe for concurrent use.
package cache

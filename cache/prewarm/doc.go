// Package prewarm decides when and what is warmed.
//
// A [Scheduler] runs warm-ups: of a definition at a time, once nothing has
// changed for its quiet period, never while a build of the user's own runs, and
// a newer change ends a warm-up that it made stale. [Targets] says what a level
// means for a plan. Whether a repository's steps may run at all is decided by
// whoever asks: nothing here gives consent.
package prewarm

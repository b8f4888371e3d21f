// Package bench measures stoker as users run it: as whole processes, next to the
// commands that they would run instead. It only has benchmarks.
package bench

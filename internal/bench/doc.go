// Package bench times stoker as users meet it: whole processes, beside the
// commands that they would run instead. It has benchmarks only.
package bench

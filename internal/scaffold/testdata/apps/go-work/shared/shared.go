// Package shared is shared.
package shared

// Greeting greets.
const Greeting = "bill "

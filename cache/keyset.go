package cache

import "slices"

// A set of keys is a sorted slice without duplicates. None of these functions changes
// its arguments.

// intersect returns the keys of a that are in the set b.
func intersect(a, b []KeyID) []KeyID {
	return slices.DeleteFunc(slices.Clone(a), func(k KeyID) bool { _, ok := slices.BinarySearch(b, k); return !ok })
}

// subtract returns the keys of a that are not in the set b.
func subtract(a, b []KeyID) []KeyID {
	return slices.DeleteFunc(slices.Clone(a), func(k KeyID) bool { _, ok := slices.BinarySearch(b, k); return ok })
}

// union returns the set of the keys in any of lists, which need not be sets.
func union(lists ...[]KeyID) []KeyID {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

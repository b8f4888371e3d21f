// Package ledger keeps account of what one builder's cache holds, and predicts from
// that what the next build executes.
//
// A [Ledger] joins two sources. The builds that were observed say which operations ran,
// on what, and when: [Ledger.Learn] adds them to a cache.Mirror, a graph of cache keys
// (package cache explains it). The builder itself lists what it holds now, but not by
// keys: [Ledger.List] gets results with a record, which tells the instruction, and the
// time at which each was made. What the ledger adds is the way from one to the other:
// which key's result is which of those that are listed, and so which keys still have
// one.
//
// # How results are told apart
//
// One record is often listed several times. If three builds ran "COPY . ." on different
// files, three results have the record of that COPY. The nouns:
//
//   - An entry is an execution that was observed. It made a result of a key, which the
//     builder lists as the entry's record with a time within the run. If that is no
//     longer listed, the result is gone.
//   - A reuse is the use of a result that nobody saw being made, as a build had it that
//     ran before stoker was installed. Where the next list leaves just one that can be
//     meant, this becomes an entry.
//   - A claim is what remains where the list leaves several: the result is one of those
//     made at these times. It is there while all of them are listed, gone when none is,
//     and unknown in between.
//   - A mixture is a group of results of one record that were made at about the same
//     time, some by entries and some by somebody else. When one of them goes, nothing
//     tells which, and the entries turn into claims.
//   - What was imported is a result that a build brought from a cache elsewhere
//     (--cache-from). It is known by its layers, and from then on by the builder's ID.
//   - Partial is what a COPY --link made on imported layers before those were fetched. Most
//     builds do not find it, and the builder may forget whose it is.
//   - A repeat is a build that succeeded and of whose results none went since. Another
//     one of the same graph executes nothing, even where the claims leave open which
//     results it takes.
//   - A keyless is an execution that was observed without that its key is known, as of an
//     ADD from an address. The same operation may be found by that key.
//   - Foreign are records of which something is listed that no known execution can have
//     made. Operations with such a record may be found by keys that nobody knows, and so
//     may all that they are made from.
//   - Bygone are records of which results were listed once that no known execution can have
//     made. Their keys may lead on to what is there, although no result tells of them.
//
// # What is not known
//
// A ledger that starts out empty knows nothing, but what the builder already holds is
// foreign, and makes predictions unknown rather than wrong. The same goes for what was
// built while nobody observed the builder. What a ledger must not do is to forget a key
// that leads to a result which it counts as explained: see Ledger.forget.
//
// # Other parts
//
// [Snapshots] are the builder's copies of local files, which decide which edits it does
// not see. A [Reader] computes the digests of the files that builds take.
//
// A ledger holds no digest of BuildKit's, which are plain hashes over values. What it is
// given it seals first, so that what is in memory is what may be kept on disk.
package ledger

package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// keyed is the digest under which values are told apart that must not be stored:
// without the key, a short value could be found by trying.
func keyed(key [32]byte, parts ...string) string {
	mac := hmac.New(sha256.New, key[:])
	for _, p := range parts {
		mac.Write(appendString(nil, p)) // never fails (hash.Hash)
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

package config

import (
	"errors"
	"math"
	"math/big"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
)

// ParseSize parses a size in the configuration or in a flag, and returns it in bytes. It
// is a number with an optional unit: B, kB, MB, GB or TB, which are powers of 1000 as
// docker prints them, or KiB, MiB, GiB or TiB, which are powers of 1024. Case does not
// matter, and there may be a space before the unit. "off" is 0, which means no limit.
// The error is an [*Error].
func ParseSize(text string) (int64, error) {
	if text == "off" {
		return 0, nil
	}
	end := strings.LastIndexAny(text, "0123456789.") + 1
	number, unit := text[:end], strings.ToLower(strings.TrimPrefix(text[end:], " "))
	scale, known := sizeUnit(unit)
	if !known || !isDecimal(number) {
		return 0, &Error{
			Text: quote(text) + " is not a size",
			Hint: `write it like 500kB, 50MB, 1.5GiB or off (MB is 1,000,000 bytes, MiB 1,048,576)`,
		}
	}
	// Unlike a float, a rational is exact for 0.1MB, and cannot overflow.
	bytes, _ := new(big.Rat).SetString(number)
	bytes.Mul(bytes, new(big.Rat).SetInt64(scale))
	whole := new(big.Int).Quo(bytes.Num(), bytes.Denom())
	if !whole.IsInt64() {
		return 0, &Error{Text: "size " + quote(text) + " is too large", Hint: "write off for no limit"}
	}
	return whole.Int64(), nil
}

// sizeUnit returns how many bytes a lower-case unit stands for.
func sizeUnit(unit string) (int64, bool) {
	switch unit {
	case "", "b":
		return 1, true
	case "k", "kb":
		return 1e3, true
	case "m", "mb":
		return 1e6, true
	case "g", "gb":
		return 1e9, true
	case "t", "tb":
		return 1e12, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	case "tib":
		return 1 << 40, true
	}
	return 0, false
}

// isDecimal reports whether text is a decimal number that is not longer than a size
// can be.
func isDecimal(text string) bool {
	whole, fraction, pointed := strings.Cut(text, ".")
	if whole == "" || pointed && fraction == "" || len(text) > len("9223372036854775807")+10 {
		return false
	}
	return strings.Trim(whole+fraction, "0123456789") == ""
}

// parseCount parses a number of files; "off" is 0.
func parseCount(text string) (int64, error) {
	digits := strings.ReplaceAll(text, "_", "")
	n, ok := new(big.Int).SetString(digits, 10)
	switch {
	case text == "off":
		return 0, nil
	case !ok || n.Sign() < 0 || n.Cmp(big.NewInt(math.MaxInt32)) > 0:
		return 0, &Error{Text: quote(text) + " is not a number of files", Hint: "write a whole number like 10000, or off"}
	}
	return n.Int64(), nil
}

// ParseBuilder returns the text of `builder:` or `--builder` as it is, or an [*Error] if
// it names no builder.
func ParseBuilder(text string) (string, error) {
	if text == "auto" || text == "docker" {
		return text, nil
	}
	if name, ok := strings.CutPrefix(text, "buildx:"); ok && name != "" {
		return text, nil
	}
	schemes := []string{"unix", "tcp", "ssh", "docker-container", "kube-pod"}
	scheme, rest, ok := strings.Cut(text, "://")
	if ok && slices.Contains(schemes, scheme) && rest != "" {
		return text, nil
	}
	return "", &Error{
		Text: "builder " + quote(text) + " is not known",
		Hint: "write auto, docker, buildx:NAME, or an address with " + strings.Join(schemes, "://, ") + "://",
	}
}

// parseLoopback returns the text as it is if it is an address, with a port, that only
// this machine can reach.
func parseLoopback(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	ip := net.ParseIP(host)
	if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && n > 0 && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return text, nil
	}
	return "", &Error{Text: "address " + quote(text) + " is not one of this machine", Hint: "write 127.0.0.1:PORT, localhost:PORT or [::1]:PORT"}
}

// checkPattern returns an error, which continues a sentence that begins with the pattern,
// if it can match no path.
func checkPattern(pattern string) error {
	if pattern == "" {
		return errors.New("is empty")
	}
	if strings.HasPrefix(pattern, "/") {
		return errors.New("begins with a slash, but paths are relative to the repository")
	}
	for element := range strings.SplitSeq(pattern, "/") {
		switch {
		case element == "." || element == ".." || element == "":
			return errors.New("has an empty, . or .. element")
		case element != "**" && strings.Contains(element, "**"):
			return errors.New("has ** beside other characters, but ** stands for whole elements")
		}
		if _, err := path.Match(element, ""); err != nil {
			return errors.New("has a bad element " + quote(element))
		}
	}
	return nil
}

// matchPath reports whether pattern matches all of name. It visits each pair of
// positions once, so that its time does not depend on the number of **.
func matchPath(pattern, name string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(name, "/")
	// reach[i] says that the elements of want so far match have[:i].
	reach := make([]bool, len(have)+1)
	reach[0] = true
	for _, element := range want {
		next := make([]bool, len(have)+1)
		for i := range reach {
			if element == "**" {
				next[i] = reach[i] || i > 0 && next[i-1]
			} else if i > 0 && reach[i-1] {
				next[i], _ = path.Match(element, have[i-1])
			}
		}
		reach = next
	}
	return reach[len(have)]
}

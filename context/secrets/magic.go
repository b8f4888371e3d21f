package secrets

import "strings"

// A magic is a text by which a file format is recognised.
type magic struct {
	at     int // offset of the text
	text   string
	longer int // the content must be longer than this
}

// applicationMagic are the formats that gitleaks skips: those that h2non/filetype gives an application/ type. That
// package is not imported, because it builds its tables at start-up, which takes longer than the rest of stoker's.
var applicationMagic = [...]magic{
	{text: "\x00asm\x01\x00\x00\x00"},                              // WebAssembly
	{text: "wOFF\x00\x01\x00\x00"}, {text: "wOF2\x00\x01\x00\x00"}, // fonts
	{text: "\x00\x01\x00\x00\x00"}, {text: "OTTO\x00"}, // TrueType, OpenType
	{text: "PK\x03\x04"}, {text: "PK\x03\x06"}, {text: "PK\x03\x08"}, // zip, office documents
	{text: "PK\x05\x04"}, {text: "PK\x05\x06"}, {text: "PK\x05\x08"},
	{text: "PK\x07\x04"}, {text: "PK\x07\x06"}, {text: "PK\x07\x08"},
	{at: 257, text: "ustar"},
	{text: "Rar!\x1a\x07\x00"}, {text: "Rar!\x1a\x07\x01"},
	{text: "\x1f\x8b\x08"}, {text: "BZh"}, {text: "7z\xbc\xaf\x27\x1c"}, {text: "\xfd7zXZ\x00"}, {text: "LZIP"},
	{text: "\x28\xb5\x2f\xfd"}, {text: "\x1f\xa0"}, {text: "\x1f\x9d"},
	{text: "%PDF"}, {text: "%!"}, {text: "{\\rtf"},
	{text: "MZ"}, {text: "\x7fELF", longer: 52},
	{text: "CWS"}, {text: "FWS"}, {text: "SQLi"}, {text: "NES\x1a"}, {text: "Cr24"},
	{text: "MSCF"}, {text: "ISc("}, {text: "!<arch>"}, {text: "\xed\xab\xee\xdb", longer: 96},
	{at: 128, text: "DICM"}, {at: 32769, text: "CD001"},
	{text: "\xfe\xed\xfa\xcf"}, {text: "\xfe\xed\xfa\xce"}, {text: "\xbe\xba\xfe\xca"},
	{text: "\xcf\xfa\xed\xfe"}, {text: "\xce\xfa\xed\xfe"}, {text: "\xca\xfe\xba\xbe"},
}

// binaryMagic reports whether content that begins with head is binary to gitleaks.
func binaryMagic(head []byte) bool {
	for _, m := range applicationMagic {
		if len(head) > m.longer && len(head) >= m.at+len(m.text) && string(head[m.at:m.at+len(m.text)]) == m.text {
			return true
		}
	}
	return oldOffice(head) || embeddedFont(head) || dalvik(head)
}

// oldOffice reports whether head is of a document in the compound file format, whose second sector says which.
func oldOffice(head []byte) bool {
	if !strings.HasPrefix(string(head[:min(4, len(head))]), "\xd0\xcf\x11\xe0") {
		return false
	}
	if len(head) <= 513 {
		return true
	}
	switch string(head[512:514]) {
	case "\xec\xa5", "\x09\x08", "\xa0\x46":
		return true
	}
	return false
}

// embeddedFont reports whether head is of an Embedded OpenType font.
func embeddedFont(head []byte) bool {
	if len(head) <= 35 || string(head[34:36]) != "LP" {
		return false
	}
	switch string(head[8:11]) {
	case "\x02\x00\x01", "\x01\x00\x00", "\x02\x00\x02":
		return true
	}
	return false
}

// dalvik reports whether head is of a Dalvik executable, optimised or not.
func dalvik(head []byte) bool {
	if len(head) > 100 && string(head[:4]) == "dey\n" {
		head = head[40:100]
	}
	return len(head) > 36 && string(head[:4]) == "dex\n" && head[36] == 'p'
}

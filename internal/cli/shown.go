package cli

import (
	"reflect"
	"strings"
)

// shown returns a copy of an answer that is safe to print: names that come from
// files, Dockerfiles and git can neither control the terminal nor look like a line
// that stoker wrote (see [visible]). Commands call it before they add colours, which
// are control characters too. JSON output has the answer itself.
func shown[T any](answer T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	out.Set(shownValue("", reflect.ValueOf(&answer).Elem()))
	return out.Interface().(T)
}

// shownValue returns a copy of v for [shown]; field is the name of the struct field
// that holds it, "" for none.
func shownValue(field string, v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(shownText(field, v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(shownValue(field, v.Elem()))
		}
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(shownValue(field, v.Index(i)))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for key, value := range v.Seq2() {
			out.SetMapIndex(shownValue(field, key), shownValue(field, value))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Type().Field(i).IsExported() {
				out.Field(i).Set(shownValue(name, v.Field(i)))
			}
		}
		// A path that is not UTF-8 comes with its bytes, which are the true name.
		if raw := v.FieldByName("PathBytes"); raw.IsValid() && raw.Len() > 0 {
			out.FieldByName("Path").SetString(visible("", raw.Bytes()))
		}
	}
	return out
}

// shownText returns the text of a field on one line. How line breaks and tabs are
// shown depends on the field: in the name of a file a tab is shown as such, elsewhere
// it is a space; the lines of a message are joined by semicolons.
func shownText(field, text string) string {
	switch field {
	case "Path":
		return visible(text, nil)
	case "Name", "Step", "Steps", "FirstMiss", "Costliest":
		if strings.HasPrefix(text, "[") { // a step, whose lines are one instruction
			text = oneLine(text)
		}
	case "Evidence", "Obstacle": // they name steps, whose lines are joined with the space before them
		text = oneLine(text)
	case "Before", "After": // of an instruction, in which white space may be what differs
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			words := strings.Split(line, "\t")
			for j, w := range words {
				words[j] = visible(w, nil)
			}
			lines[i] = strings.Join(words, "\t")
		}
		return strings.Join(lines, "\n")
	case "Problem", "Hint", "Message", "Reason", "Note", "Notes":
		text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "; ")
	}
	return visible(strings.ReplaceAll(text, "\t", " "), nil)
}

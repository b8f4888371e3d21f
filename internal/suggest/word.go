package suggest

import (
	"iter"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// computed stands in a word for text that is known only when the script runs.
const computed = "$()"

// wordText returns a word without its quotes. Quoted text is as from effects.Quote, a variable
// is "$NAME" or, in quotes, "${NAME}", and the result of a command or a computation is
// computed. The commands are added to inner. It reports false for anything else, and for
// commands if inner is nil.
func wordText(w *syntax.Word, inner *[]command) (string, bool) {
	if w == nil {
		return "", false
	}
	r := wordReader{inner: inner}
	ok := r.parts(w.Parts, false)
	return r.text.String(), ok
}

// valueText returns the value in an assignment as wordText does a word, except that the value
// of a variable in it is neither split nor expanded as a pattern.
func valueText(w *syntax.Word, inner *[]command) (string, bool) {
	if w == nil {
		return "", true
	}
	r := wordReader{inner: inner, value: true}
	ok := r.parts(w.Parts, false)
	return r.text.String(), ok
}

// plainText returns the text of a word without commands, in which a variable is "$NAME" or
// "${NAME}".
func plainText(w *syntax.Word) (string, bool) {
	text, ok := wordText(w, nil)
	return effects.Unquote(text), ok
}

// A wordReader builds the text of a word from its parts.
type wordReader struct {
	text  strings.Builder
	inner *[]command // commands in the word are added here; nil does not allow them
	value bool       // the word is the value in an assignment
	open  bool       // the text ends with the name of a variable without braces
}

func (r *wordReader) parts(parts []syntax.WordPart, quoted bool) bool {
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			if !effects.Quotable(p.Value) {
				return false
			}
			r.literal(p.Value, quoted)
		case *syntax.SglQuoted:
			if p.Dollar || !effects.Quotable(p.Value) {
				return false
			}
			r.add(effects.Quote(p.Value))
		case *syntax.DblQuoted:
			if !r.parts(p.Parts, true) {
				return false
			}
		case *syntax.ParamExp:
			if !r.variable(p, quoted || r.value) {
				return false
			}
		case *syntax.CmdSubst:
			if r.inner == nil {
				return false
			}
			*r.inner = append(*r.inner, command{subshell: true, inner: listed(nil, p.Stmts)})
			r.add(computed)
		default:
			return false
		}
	}
	return true
}

// variable reads one, or what is computed of its value.
func (r *wordReader) variable(p *syntax.ParamExp, quoted bool) bool {
	switch {
	case p.Param == nil || p.Repl != nil || p.Slice != nil || p.Index != nil || p.Excl || p.Width || p.Names != 0:
		return false
	case p.Exp == nil && !p.Length && quoted:
		r.add("${" + p.Param.Value + "}")
		return true
	case p.Exp == nil && !p.Length:
		r.add("$" + p.Param.Value)
		r.open = isName(p.Param.Value)
		return true
	case r.inner == nil || p.Exp != nil && (p.Exp.Op == syntax.AssignUnset || p.Exp.Op == syntax.AssignUnsetOrNull):
		return false
	case p.Exp != nil && p.Exp.Word != nil:
		if _, ok := wordText(p.Exp.Word, r.inner); !ok {
			return false
		}
	}
	r.add(computed)
	return true
}

// literal reads text with the backslashes in it: a $ that is left is none of a variable.
func (r *wordReader) literal(text string, quoted bool) {
	for i := 0; i < len(text); i++ {
		c := text[i : i+1]
		switch {
		case c == `\` && i+1 < len(text) && (!quoted || strings.Contains("$`\"\\", text[i+1:i+2])):
			i++
			r.add(effects.Quote(text[i : i+1]))
		case quoted, c == "$", c != "~" && r.value, c == "~" && r.text.Len() > 0 && !r.value:
			r.add(effects.Quote(c))
		default:
			r.add(c)
		}
	}
}

// add writes text behind what may be a variable, whose name it does not belong to.
func (r *wordReader) add(text string) {
	if r.open && text != "" && isName(text[:1]) {
		r.text.WriteString(effects.Seam)
	}
	r.open = r.open && text == ""
	r.text.WriteString(text)
}

// isName reports text that a variable's name may be made of.
func isName(text string) bool {
	_, end := variable(text, 0)
	return text != "" && text[0] != '{' && end == len(text)
}

// fields returns the words that a shell makes of one with the values of variables put in
// that are known: those of a script, as its words, and else those of its environment, as
// they are. What a variable holds is split where no quotes are around it.
func fields(word string, vars, env map[string]string) (list []string) {
	if !strings.Contains(word, "$") {
		return []string{word}
	}
	var text strings.Builder
	some := false // there is a word, even if it is empty
	end := func() {
		if some {
			list = append(list, text.String())
		}
		text.Reset()
		some = false
	}
	for i := 0; i < len(word); {
		if word[i] != '$' {
			some = text.WriteByte(word[i]) == nil
			i++
			continue
		}
		name, next := variable(word, i+1)
		value, ok := vars[name]
		if given, is := env[name]; is && !ok {
			value, ok = effects.Quote(given), true
		}
		quoted := strings.HasPrefix(word[i+1:], "{")
		switch {
		case !ok || name == "":
			value = word[i:next]
		case strings.HasPrefix(value, "~") && text.Len() > 0:
			value = computed // a home, behind something else
		}
		if quoted || !ok {
			some = true
		} else {
			value = effects.Loosen(value)
		}
		for n, part := range slices.Collect(cut(value, !quoted && ok)) {
			if n > 0 {
				end()
			}
			some = some || part != ""
			text.WriteString(part)
		}
		i = next
	}
	end()
	return list
}

// cut returns the parts of a value that are words of their own.
func cut(value string, spaces bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(value, effects.Break) {
			for {
				at := strings.IndexAny(part, " \t\n")
				if at < 0 || !spaces {
					break
				}
				if !yield(part[:at]) {
					return
				}
				part = part[at+1:]
			}
			if !yield(part) {
				return
			}
		}
	}
}

// listForm returns the command of a RUN in the list form, which no shell reads.
func listForm(r *dockerfile.Run) command {
	var c command
	for _, w := range r.Args {
		c.words = append(c.words, effects.Quote(w))
	}
	return c
}

package suggest

import "fmt"

// linkCopy says where --link has no effect because --chmod is given too
// (BuildKit: dockerfile2llb.dispatchCopy takes the linked form only without a
// mode). See docs/rules/link-copy.md.
func linkCopy(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			if ins.Copy == nil || !ins.Copy.Link || ins.Copy.Chmod == "" {
				continue
			}
			mend := "linked files keep the mode that they have where they are copied from: set it there and drop --chmod, or drop --link"
			if ins.Copy.Heredocs > 0 {
				mend = "a heredoc has no mode of its own: drop --link, or copy a file that has the mode"
			}
			s := Suggestion{
				Rule: "link-copy", Title: ins.Keyword + " --link is not linked because of --chmod", Lines: ins.Lines, Proof: Advice,
				Evidence: fmt.Sprintf("BuildKit runs `%s` as if --link were not there: a new base image, or a change of what stands above it, repeats it.", short(ins.Text)),
				Obstacle: mend,
			}
			list = append(list, s)
		}
	}
	return list
}

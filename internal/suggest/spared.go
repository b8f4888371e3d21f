package suggest

// leastSpared is how many seconds a mount has to save, both each time that its step runs and
// over all builds of a week: less than that nobody notices.
const leastSpared = 1.0

// Little reports whether what a suggestion saves is too little for anybody to notice: less than
// half a second per build, or than a second per week. It counts as nothing then, but is told truly.
func Little(secondsPerBuild, secondsPerWeek float64) bool {
	return secondsPerBuild < leastFelt || secondsPerWeek < leastSpared
}

// felt returns the seconds that s saves per build, or 0 if they are too few to notice.
func (in Input) felt(s Suggestion) float64 {
	if Little(s.SavesSeconds, s.SavesSeconds*in.Commits.PerWeek()) {
		return 0
	}
	return s.SavesSeconds
}

// price sets what s saves: a warm cache saves a RUN, of the part of its time that commands of
// the tool take, the share that the table of tools gives. It reports false if that is less than
// leastSpared.
func (p *mountPlan) price(in Input, s *Suggestion) bool {
	price := in.pricer()
	costs, most := map[string]float64{}, 0.0
	for _, run := range p.fetching() {
		cost := price.cost(run)
		costs[run.Text] = cost * (1 - p.own[run.Text]*p.tool.Spares)
		most = max(most, cost-costs[run.Text])
	}
	spares, priced := in.price(s, variant{}, variant{costs: costs})
	if s.SavesSeconds > 0 {
		s.Costs = Prior
	}
	return most >= leastSpared && (!priced || spares*in.Commits.PerWeek() >= leastSpared)
}

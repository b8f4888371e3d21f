package suggest

// leastSpared is how many seconds a mount has to save, both each time that its step runs and
// over all builds of a week: less than that nobody notices.
const leastSpared = 1.0

// price says what a warm cache spares the steps that run again: the share of their
// part of their cost that is the tool's which the table gives for it. Of those that read what the first one
// fetched only that one is spared anything. It reports false for what nobody would notice.
func (p *mountPlan) price(in Input, s *Suggestion) bool {
	price := &pricer{seconds: in.Seconds}
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

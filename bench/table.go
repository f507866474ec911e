package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// ms is a time in milliseconds for a table.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

// textOf is a report for a terminal.
func textOf(r report) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\nlatency (ms)\trequests\tfailed\tp50\tp99\tp99.9\tmax\t| from send: p50\tp99\tmax\t\n")
	for _, o := range r.Operations {
		i, s := o.Intended, o.Service
		fmt.Fprintf(table, "%s %s\t%d\t%d\t%s\t%s\t%s\t%s\t| %s\t%s\t%s\t\n", o.Phase, o.Kind, o.Requests, o.Failed,
			ms(i.P50), ms(i.P99), ms(i.P999), ms(i.Max), ms(s.P50), ms(s.P99), ms(s.Max))
	}
	_ = table.Flush() // a strings.Builder never fails
	for _, o := range r.Operations {
		if o.Failed > 0 {
			fmt.Fprintf(&b, "%s %s failed:", o.Phase, o.Kind)
			for _, what := range slices.Sorted(maps.Keys(o.Outcomes)) {
				if !strings.HasPrefix(what, "status 2") && !strings.HasPrefix(what, "status 40") && what != "status 412" {
					fmt.Fprintf(&b, " %d × %s;", o.Outcomes[what], what)
				}
			}
			b.WriteString("\n")
		}
	}
	if len(r.Faults) > 0 {
		b.WriteString("\nfaults\n")
		for _, f := range r.Faults {
			fmt.Fprintf(&b, "  %8v  %-24s longest without a good answer: of all %v, of a part of the users %v; %d late or failed, longest %v %s\n",
				short(f.At), f.Text, short(f.Gap), short(f.Outage), f.Beyond, short(f.Max), f.Err)
		}
	}
	g, h := r.Generator, r.Histories
	fmt.Fprintf(&b, "\nrate        %.0f requests/s\n", r.Rate)
	fmt.Fprintf(&b, "generator   longest stall of its own %v (%d stalls, %v in all); sent behind schedule p99 %v, max %v; %d requests waited for a connection; %d late ones are explained by it\n",
		short(g.Longest), g.Stalls, short(g.Stalled), short(g.P99Lag), short(g.MaxLag), g.Held, g.Explained)
	if g.Syncs > 0 {
		fmt.Fprintf(&b, "disk        it stood still %d times, at most for %v; %d late ones are explained by it\n",
			g.Syncs, short(g.Sync), g.Struck)
	}
	if h.Users > 0 {
		fmt.Fprintf(&b, "histories   %d users, %d operations, %d writes without an answer: %d not linearizable, %d not decided; %d counts within bounds\n", h.Users, h.Operations, h.Open, h.Illegal, h.Unknown, r.Counts)
	}
	if r.ReadBack != "" {
		fmt.Fprintf(&b, "in the end  %s\n", r.ReadBack)
	}
	if h.Page != "" {
		fmt.Fprintf(&b, "violation   user %s, drawn in %s\n", h.First, h.Page)
	}
	fmt.Fprintf(&b, "budget      %v: %d of %d requests beyond it (%d failed), longest %v\n", r.Budget.Budget,
		r.Budget.Beyond, r.Budget.Requests, r.Budget.Failed, short(r.Budget.Max))
	fmt.Fprintf(&b, "\n%s\n", r.Verdict.Word)
	for _, why := range r.Verdict.Reasons {
		fmt.Fprintf(&b, "  %s\n", why)
	}
	return b.String()
}

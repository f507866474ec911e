package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// performWith makes steps commands of the shell: templates are by the step's kind, and {node} in them is the node.
func performWith(templates map[string]string) cluster.Perform {
	return func(s cluster.Step) error {
		template := templates[s.Kind]
		if template == "" {
			return fmt.Errorf("%w: %s: no command is known for it (--fault-command %s='…{node}…')", cluster.ErrFault,
				s.Text(), s.Kind)
		}
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(template, "{node}", s.Node)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s: %w: %s", cluster.ErrFault, s.Text(), err, out)
		}
		return nil
	}
}

// timeline makes a script of steps at fixed times; one that takes long delays only those of the same node. What fails
// is reported, and fails the run. When the load ends, what would have taken a fault back is done at once.
func timeline(steps []cluster.Step, do cluster.Perform) script {
	return func(begin, from time.Time, events chan<- event, quit <-chan struct{}, ended chan<- error) {
		results, busy, over := make(chan event, len(steps)), map[string]bool{}, false
		var failed error
		for len(steps) > 0 || len(busy) > 0 {
			next := slices.IndexFunc(steps, func(s cluster.Step) bool { return !busy[s.Node] })
			var due <-chan time.Time
			if next >= 0 {
				wait := time.Until(from.Add(steps[next].At))
				if over {
					wait = 0
				}
				due = time.After(wait)
			}
			select {
			case <-due:
				go act(steps[next], do, begin, results)
				busy[steps[next].Node] = true
				steps = slices.Delete(slices.Clone(steps), next, next+1)
			case e := <-results:
				delete(busy, e.Node)
				if events <- e; e.Err != "" && failed == nil {
					failed = fmt.Errorf("%w: %s: %s", cluster.ErrFault, e.Text, e.Err)
				}
			case <-quit:
				steps, quit, over = healing(steps), nil, true
			}
		}
		ended <- failed
	}
}

// healing returns those of the steps that are left which take back what has been done.
func healing(left []cluster.Step) []cluster.Step {
	list, undone := []cluster.Step{}, map[string]bool{} // nodes whose next fault does not come any more
	for _, s := range left {
		if undo[s.Kind] != "" {
			undone[s.Node] = true
		} else if !undone[s.Node] {
			list = append(list, s)
		}
	}
	return list
}

// act does a step and tells of it.
func act(s cluster.Step, do cluster.Perform, begin time.Time, results chan<- event) {
	at := time.Now()
	err := do(s)
	e := event{At: at.Sub(begin), Took: time.Since(at), Kind: s.Kind, Text: s.Text(), Node: s.Node,
		Heal: undo[s.Kind] == ""}
	if err != nil {
		e.Err = err.Error()
	}
	results <- e
}

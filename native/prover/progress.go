package prover

import (
	"math"
	"sync"
	"time"
)

// Progress is one report. Done is a fraction, or nil if none is known; Estimated says that it is CPU time over expected CPU time.
type Progress struct {
	Stage       string   `json:"stage"`
	Done        *float64 `json:"done,omitempty"`
	Estimated   bool     `json:"estimated,omitempty"`
	Elapsed     float64  `json:"elapsed_seconds,omitempty"`
	Constraints int      `json:"constraints,omitempty"`
}

// Report receives progress, one call at a time; a nil Report drops it.
type Report func(Progress)

func (r Report) send(p Progress) {
	if r != nil {
		r(p)
	}
}

// setupCPUSeconds is about what a set-up costs.
func setupCPUSeconds(constraints int) float64 {
	const each = 350e-6
	return float64(constraints) * each
}

// estimate reports used over expected CPU time every two seconds until stopped: other work on the machine slows it down without making it wrong. It
// never claims more than 0.99.
func estimate(stage string, expected float64, report Report) (stop func()) {
	if report == nil {
		return func() {}
	}
	start, cpu, done := time.Now(), cpuSeconds(), make(chan struct{})
	var group sync.WaitGroup
	send := func() {
		fraction := math.Round(math.Min(0.99, (cpuSeconds()-cpu)/expected)*1000) / 1000
		report(Progress{Stage: stage, Done: &fraction, Estimated: true, Elapsed: math.Round(time.Since(start).Seconds()*10) / 10})
	}
	send()
	group.Go(func() {
		ticker := time.NewTicker(2 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				send()
			}
		}
	})
	return func() {
		close(done)
		group.Wait()
		one := 1.0
		report(Progress{Stage: stage, Done: &one, Elapsed: math.Round(time.Since(start).Seconds()*10) / 10})
	}
}

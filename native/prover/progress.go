package prover

import (
	"math"
	"runtime"
	"sync"
	"time"
)

// Progress is one report. Done is a fraction, or nil if none is known; Estimated says that it is elapsed time over expected time.
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

// setupSeconds is about how long a set-up takes here: 330 CPU seconds for a million constraints, on up to 16 cores.
func setupSeconds(constraints int) float64 {
	const cpuSecondsPerConstraint, most = 330e-6, 16
	return float64(constraints) * cpuSecondsPerConstraint / math.Min(float64(runtime.GOMAXPROCS(0)), most)
}

// estimate reports elapsed over expected time every two seconds until stopped. It never claims more than 0.99.
func estimate(stage string, expectedSeconds float64, report Report) (stop func()) {
	if report == nil {
		return func() {}
	}
	start, done := time.Now(), make(chan struct{})
	var group sync.WaitGroup
	send := func() {
		elapsed := time.Since(start).Seconds()
		fraction := math.Min(0.99, elapsed/expectedSeconds)
		report(Progress{Stage: stage, Done: &fraction, Estimated: true, Elapsed: math.Round(elapsed*10) / 10})
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

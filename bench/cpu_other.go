//go:build !unix

package main

import "math"

// processCPU returns NaN: this system has no getrusage.
func processCPU() float64 { return math.NaN() }

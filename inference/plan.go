package inference

import (
	"context"
	"errors"

	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/quant"
)

// PlanRequest says what to plan.
type PlanRequest struct {
	// Checkpoint is the folder of the checkpoint. Only the heads of its files are
	// read.
	Checkpoint string
	Job        Job
	Quant      quant.Options
	// Device is the device that will run the job: its name, its limits and how it
	// rounds sizes count; nothing is allocated on it and nothing runs.
	Device device.Device
	// Rates are the device's, from plan.Measure or plan.ReadRates; the zero value
	// leaves times out of the plan.
	Rates plan.Rates
}

// PlanOf says what a job takes before anything is loaded. The job's picture and
// camera path are read; a job without a picture is planned for one of 832x480
// pixels, one without a prompt for one of usual length. It takes well under a second
// at any size. The plan of a job that does not fit is no error: see Plan.Fit.
func PlanOf(ctx context.Context, r PlanRequest) (plan.Plan, error) {
	return plan.Plan{}, errors.ErrUnsupported
}

// PlanAuto is PlanOf, and where the job does not fit it changes settings, in order
// of least harm, until it does: it returns the request with them, and what was
// chosen and why. Settings that change the numbers (quantisation, tiles) come last.
func PlanAuto(ctx context.Context, r PlanRequest) (PlanRequest, plan.Plan, []plan.Choice, error) {
	return r, plan.Plan{}, nil, errors.ErrUnsupported
}

// Plan says what job takes on the pipeline's device, with its weights as they are
// open. Rates may be the zero value.
func (p *Pipeline) Plan(ctx context.Context, job Job, rates plan.Rates) (plan.Plan, error) {
	return plan.Plan{}, errors.ErrUnsupported
}

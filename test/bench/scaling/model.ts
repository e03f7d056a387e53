/** How the simulated queue, its workers and its broker behave. Times in seconds. */
export interface Model {
  /** Of one step of the simulation. */
  readonly stepSeconds: number;
  readonly objectiveSeconds: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Messages that a worker holds at most. */
  readonly prefetch: number;
  /** Messages a second of a mean worker, and what a person would write in a manifest. */
  readonly serviceRate: number;
  readonly hintedServiceRate: number;
  /** Log-normal spread of workers, of the work in a message, and of a rate common to all that drifts. */
  readonly replicaSigma: number;
  readonly messageSigma: number;
  readonly driftSigma: number;
  readonly driftSeconds: number;
  /** From a pod's creation until it consumes. */
  readonly leastStartSeconds: number;
  readonly mostStartSeconds: number;
  readonly shutdownSeconds: number;
  readonly graceSeconds: number;
  /** How often the broker counts, and how much later that can be read. */
  readonly statisticsSeconds: number;
  readonly statisticsDelaySeconds: number;
  /** How long the work left at the end of the trace may take. */
  readonly tailSeconds: number;
}

export const usualModel: Model = {
  stepSeconds: 0.1,
  objectiveSeconds: 30,
  minReplicas: 0,
  maxReplicas: 60,
  prefetch: 20,
  serviceRate: 10,
  hintedServiceRate: 10,
  replicaSigma: 0.08,
  messageSigma: 0.5,
  driftSigma: 0.06,
  driftSeconds: 400,
  leastStartSeconds: 5,
  mostStartSeconds: 12,
  shutdownSeconds: 1,
  graceSeconds: 30,
  statisticsSeconds: 5,
  statisticsDelaySeconds: 1,
  tailSeconds: 900,
};

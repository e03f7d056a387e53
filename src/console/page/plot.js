/** @import uPlot from "uplot" */
// @ts-expect-error -- the server has the package under this name, where no types are.
import served from "./uplot.js";

/** @type {typeof uPlot} */
export const Plot = served;

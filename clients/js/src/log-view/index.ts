export { LogView, type LogViewOptions } from './log-view.js';
export { lineOf, noteOf, type Line } from './line.js';
export { LEVELS, levelOf, type Level } from './level.js';
export { formatTime, TIME_MODES, type TimeMode } from './time.js';
export { channelHue, type LineAction } from './row.js';
export type { LineFilter } from './store.js';

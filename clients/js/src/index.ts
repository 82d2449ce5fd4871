export { createClient, Client } from './client.js';
export { Subscription } from './subscription.js';
export { formatChannel, parseChannel } from './channel.js';
export { documentOf, toItem } from './item.js';
export { GatewayError, UnauthorizedError } from './errors.js';
export type * from './types.js';

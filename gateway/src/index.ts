export * from './app.js'
export {
  type AccountGuard,
  type AccountGuardOptions,
  createAccountGuard,
  type ProvenRequest,
} from './authentication/guard.js'
export * from './authentication/principal.js'
export { type RequestToSign, signRequest } from './authentication/sign-request.js'
export * from './compatibility.js'
export * from './config.js'
export type { TlsIdentity } from './http/server.js'
export { CLOCK_SKEW_MS } from './limits.js'
export * from './ports.js'

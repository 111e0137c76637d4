/** Methods 1 to 4: sessions. */
import {
  type Clock,
  closeSession,
  moveSession,
  openSession,
  type RpcRouter,
  renewSession,
  SESSION_LEASE_MS,
} from '@cairn/protocol'
import type { Sessions } from '../core/services/sessions.js'

export function registerSessionHandlers(router: RpcRouter, sessions: Sessions, clock: Clock): void {
  router.handle(openSession, async (request, { peer }) => {
    // A gateway may show itself as something else; what a program opens is a program's.
    const session = await sessions.open(peer.role === 'client' ? { ...request, role: peer.role } : request)
    return { response: { session, leaseMs: SESSION_LEASE_MS, nowMicros: clock.wallMicros() } }
  })
  router.handle(renewSession, async ({ session }) => {
    await sessions.renew(session)
    return { response: { nowMicros: clock.wallMicros() } }
  })
  router.handle(closeSession, async ({ session }) => {
    await sessions.close(session)
    return { response: {} }
  })
  router.handle(moveSession, async (request) => ({ response: await sessions.move(request) }))
}

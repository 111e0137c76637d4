/** Methods 1 to 3: sessions. */
import { closeSession, openSession, type RpcRouter, renewSession, SESSION_LEASE_MS } from '@cairn/protocol'
import type { Sessions } from '../core/sessions.js'

export function registerSessionHandlers(router: RpcRouter, sessions: Sessions): void {
  router.handle(openSession, async (request) => ({
    response: { session: await sessions.open(request), leaseMs: SESSION_LEASE_MS },
  }))
  router.handle(renewSession, async ({ session }) => {
    await sessions.renew(session)
    return { response: {} }
  })
  router.handle(closeSession, async ({ session }) => {
    await sessions.close(session)
    return { response: {} }
  })
}

import { expect } from 'chai'
import { createRouter, type HandshakeIdentity, systemClock, systemRandom } from '../../src/index.js'
import { CONNECTIONS_PER_LISTENER_MAX } from '../../src/rpc/limits.js'
import { listen } from '../../src/rpc/listener.js'
import type { BindTransport, Transport, TransportLayer } from '../../src/rpc/transport.js'
import type { RpcListener } from '../../src/rpc/types.js'

const identity: HandshakeIdentity = {
  role: 'metadata',
  name: 'server-1',
  clusterId: 'c1',
  featureLevel: 1,
  clusterSecret: Buffer.alloc(32, 5),
}

/** An accepted transport whose peer says nothing. */
class SilentTransport implements Transport {
  readonly reusesChunks = false
  readonly unsentBytes = 0
  isDestroyed = false
  send(): void {}
  pauseReading(): void {}
  resumeReading(): void {}
  close(): void {
    this.isDestroyed = true
  }
  destroy(): void {
    this.isDestroyed = true
  }
}

describe('a listener', () => {
  let accept: BindTransport
  let listener: RpcListener
  const layer: TransportLayer = {
    async listen(address, _localName, bind) {
      accept = bind
      return { address, stop: async () => undefined }
    },
    dial: () => undefined,
  }

  beforeEach(async () => {
    const table = createRouter()
    const options = { layer, address: 'here', identity, table, clock: systemClock, random: systemRandom }
    listener = await listen(options)
  })
  afterEach(() => listener.close(0))

  function knock(): SilentTransport {
    const transport = new SilentTransport()
    accept(transport)
    return transport
  }

  it('lets the stranger go that came first when there are too many, not the one that comes', () => {
    const strangers = Array.from({ length: CONNECTIONS_PER_LISTENER_MAX }, knock)
    const others = [knock(), knock()]
    const gone = strangers.map(({ isDestroyed }, at) => (isDestroyed ? at : -1)).filter((at) => at >= 0)
    expect([gone, others.map(({ isDestroyed }) => isDestroyed)]).to.deep.equal([
      [0, 1],
      [false, false],
    ])
  })
})

import { expect } from 'chai'
import { CairnError, type Role, systemRandom } from '../../src/index.js'
import { FRAME } from '../../src/rpc/frame.js'
import { createClientHandshake, createServerHandshake, type Handshake } from '../../src/rpc/handshake.js'
import type { HandshakeIdentity, PeerIdentity } from '../../src/rpc/types.js'

const secret = Buffer.alloc(32, 7)
const gateway: HandshakeIdentity = {
  role: 'gateway',
  name: 'gateway-1',
  clusterId: 'c1',
  featureLevel: 1,
  clusterSecret: secret,
}
const chunk: HandshakeIdentity = { ...gateway, role: 'chunk', name: 'chunk-1' }

interface Sent {
  readonly type: number
  readonly content: Uint8Array
}

interface Pair {
  readonly client: Handshake
  readonly server: Handshake
  readonly fromClient: Sent[]
  readonly fromServer: Sent[]
}

function openPair(ours: HandshakeIdentity, theirs: HandshakeIdentity, dialled: Role = 'chunk'): Pair {
  const fromClient: Sent[] = []
  const fromServer: Sent[] = []
  const send = (type: number, content: Uint8Array): void => void fromClient.push({ type, content })
  const client = createClientHandshake({ identity: ours, random: systemRandom, send }, dialled)
  const server = createServerHandshake({
    identity: theirs,
    random: systemRandom,
    send: (type, content) => fromServer.push({ type, content }),
  })
  client.start()
  return { client, server, fromClient, fromServer }
}

function sentAt(sent: readonly Sent[], index: number): Sent {
  const found = sent[index]
  if (found === undefined) throw new Error(`nothing was sent at ${index}`)
  return found
}

function give(to: Handshake, sent: readonly Sent[], index: number): PeerIdentity | undefined {
  const { type, content } = sentAt(sent, index)
  return to.take(type, content)
}

/** Runs the four frames; who each side takes the other for. */
function complete(pair: Pair): { atServer: PeerIdentity | undefined; atClient: PeerIdentity | undefined } {
  give(pair.server, pair.fromClient, 0)
  give(pair.client, pair.fromServer, 0)
  const atServer = give(pair.server, pair.fromClient, 1)
  const atClient = give(pair.client, pair.fromServer, 1)
  return { atServer, atClient }
}

function expectRejected(action: () => unknown, words: RegExp): void {
  expect(action).to.throw(CairnError, words).that.has.property('code', 'PeerRejected')
}

describe('handshake', () => {
  it('tells each side who the other is', () => {
    const { atServer, atClient } = complete(openPair(gateway, chunk))
    expect(atServer).to.deep.equal({ role: 'gateway', name: 'gateway-1' })
    expect(atClient).to.deep.equal({ role: 'chunk', name: 'chunk-1' })
  })

  it('lets an unknown cluster id match any', () => {
    for (const [ours, theirs] of [
      ['', 'c1'],
      ['c1', ''],
      ['', ''],
    ] as const) {
      const pair = openPair({ ...gateway, clusterId: ours }, { ...chunk, clusterId: theirs })
      expect(complete(pair).atClient?.name).to.equal('chunk-1')
    }
  })

  it('refuses a server of another role than was dialled, and proves nothing to it', () => {
    for (const dialled of ['metadata', 'gateway', 'client'] as const) {
      const pair = openPair(gateway, chunk, dialled)
      expectRejected(() => complete(pair), new RegExp(`chunk answers where ${dialled} was dialled`))
      expect(pair.fromClient).to.have.length(1)
    }
  })

  it('refuses another cluster', () => {
    expectRejected(() => complete(openPair({ ...gateway, clusterId: 'c2' }, chunk)), /of cluster c2/)
  })

  it('refuses another secret before it proves its own', () => {
    const pair = openPair({ ...gateway, clusterSecret: Buffer.alloc(32, 8) }, chunk)
    expectRejected(() => complete(pair), /did not prove/)
    expect(pair.fromServer.map((sent) => sent.type)).to.deep.equal([FRAME.challenge])
  })

  it('refuses to go without a secret on either side', () => {
    const none = Buffer.alloc(0)
    expectRejected(() => openPair({ ...gateway, clusterSecret: none }, chunk), /no cluster secret/)
    expectRejected(() => openPair(gateway, { ...chunk, clusterSecret: none }), /no cluster secret/)
  })

  it('refuses a server that does not prove itself', () => {
    const pair = openPair(gateway, chunk)
    give(pair.server, pair.fromClient, 0)
    give(pair.client, pair.fromServer, 0)
    expectRejected(() => pair.client.take(FRAME.proof, Buffer.alloc(32)), /did not prove/)
  })

  it("refuses the client's own proof sent back to it", () => {
    const pair = openPair(gateway, chunk)
    give(pair.server, pair.fromClient, 0)
    give(pair.client, pair.fromServer, 0)
    expectRejected(() => give(pair.client, pair.fromClient, 1), /did not prove/)
  })

  it('refuses frames recorded from an earlier handshake', () => {
    const recorded = openPair(gateway, chunk)
    complete(recorded)
    const { server } = openPair(gateway, chunk)
    give(server, recorded.fromClient, 0)
    expectRejected(() => give(server, recorded.fromClient, 1), /did not prove/)
  })

  it('refuses a hello that was altered on the way', () => {
    const pair = openPair(gateway, chunk)
    const { type, content } = sentAt(pair.fromClient, 0)
    const altered = Buffer.from(content)
    altered.write('x', altered.indexOf('gateway-1'))
    pair.server.take(type, altered)
    give(pair.client, pair.fromServer, 0)
    expectRejected(() => give(pair.server, pair.fromClient, 1), /did not prove/)
  })

  it('refuses another protocol version', () => {
    const pair = openPair(gateway, chunk)
    const { type, content } = sentAt(pair.fromClient, 0)
    const altered = Buffer.from(content)
    // Format byte, tag of field 1, then the version.
    expect(altered[2]).to.equal(1)
    altered[2] = 9
    expectRejected(() => pair.server.take(type, altered), /speaks protocol 9/)
  })

  it('refuses a hello that cannot be read, and any other frame in its place', () => {
    expectRejected(
      () => openPair(gateway, chunk).server.take(FRAME.hello, Buffer.from('junk')),
      /cannot be read/,
    )
    expectRejected(() => openPair(gateway, chunk).server.take(FRAME.proof, Buffer.alloc(32)), /wants 1/)
    expectRejected(() => openPair(gateway, chunk).client.take(FRAME.proof, Buffer.alloc(32)), /wants 2/)
  })
})

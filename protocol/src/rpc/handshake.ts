/**
 * The handshake. Four frames, and nothing else before they are through:
 *
 *     client  HELLO      what it is, and a nonce
 *     server  CHALLENGE  what it is, and a nonce
 *     client  PROOF      HMAC-SHA256 by the cluster secret over "client", HELLO and CHALLENGE
 *     server  PROOF      the same over "server", and only after the client has proved itself
 *
 * A proof covers both hellos as they were sent, so that neither can be altered, and both nonces, so that it is
 * worth nothing on another connection. Without a secret there is no handshake: there is no default.
 *
 * Roles are checked both ways: the server's methods name who may call them, and the client names whom it dialled.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { CairnError } from '../errors.js'
import { bytes, integer, type Message, message, required, text } from '../message.js'
import type { Role } from '../messages/callers.js'
import type { Random } from '../ports.js'
import { FRAME } from './frame.js'
import { NONCE_BYTES, PROTOCOL_VERSION } from './limits.js'
import type { HandshakeIdentity, PeerIdentity } from './types.js'

interface Hello {
  readonly version: number
  readonly featureLevel: number
  readonly clusterId: string
  readonly role: string
  readonly name: string
  readonly nonce: Uint8Array
}

const Hello: Message<Hello> = message<Hello>('RpcHello', 1, {
  version: required(1, integer),
  featureLevel: required(2, integer),
  clusterId: required(3, text),
  role: required(4, text),
  name: required(5, text),
  nonce: required(6, bytes()),
})

/** One side of one handshake. */
export interface Handshake {
  /** The first frame of this side, if it speaks first. */
  start(): void
  /** Takes a frame; the peer once it has proved itself. Throws `PeerRejected`. */
  take(type: number, content: Uint8Array): PeerIdentity | undefined
}

/** What one side of a handshake needs; `send` takes a frame type and its content. */
export interface HandshakeOptions {
  readonly identity: HandshakeIdentity
  readonly random: Random
  readonly send: (type: number, content: Uint8Array) => void
  /** Roles that the peer's certificate names, if there are certificates: asked once it has said who it is. */
  readonly certifiedRoles?: () => readonly string[] | undefined
}

/** Whether there is a secret to prove. */
export function hasSecret(identity: HandshakeIdentity): boolean {
  return identity.clusterSecret.length > 0
}

/** Why a side without a secret may neither call nor listen. */
export function secretMissing(identity: HandshakeIdentity): CairnError {
  return rejected(`${identity.role} has no cluster secret`)
}

/** The side that dialled. A peer of another role than `role` is refused before anything is proved to it. */
export function createClientHandshake(options: HandshakeOptions, role: Role): Handshake {
  const { identity, random, send } = options
  if (!hasSecret(identity)) throw secretMissing(identity)
  const own = encodeHello(identity, random)
  let challenge: Uint8Array | undefined
  let peer: PeerIdentity | undefined

  return {
    start: () => send(FRAME.hello, own),
    take(type, content): PeerIdentity | undefined {
      if (peer === undefined || challenge === undefined) {
        expectType(type, FRAME.challenge)
        challenge = Uint8Array.from(content)
        peer = acceptHello(challenge, options)
        if (peer.role !== role) throw rejected(`${peer.role} answers where ${role} was dialled`)
        send(FRAME.proof, prove(identity, { direction: 'client', hello: own, challenge }))
        return undefined
      }
      expectType(type, FRAME.proof)
      checkProof(content, prove(identity, { direction: 'server', hello: own, challenge }))
      return peer
    },
  }
}

/** The side that accepted. */
export function createServerHandshake(options: HandshakeOptions): Handshake {
  const { identity, random, send } = options
  if (!hasSecret(identity)) throw secretMissing(identity)
  const own = encodeHello(identity, random)
  let hello: Uint8Array | undefined
  let peer: PeerIdentity | undefined

  return {
    start: () => undefined,
    take(type, content): PeerIdentity | undefined {
      if (peer === undefined || hello === undefined) {
        expectType(type, FRAME.hello)
        hello = Uint8Array.from(content)
        peer = acceptHello(hello, options)
        send(FRAME.challenge, own)
        return undefined
      }
      expectType(type, FRAME.proof)
      checkProof(content, prove(identity, { direction: 'client', hello, challenge: own }))
      send(FRAME.proof, prove(identity, { direction: 'server', hello, challenge: own }))
      return peer
    },
  }
}

function encodeHello(identity: HandshakeIdentity, random: Random): Uint8Array {
  const { featureLevel, clusterId, role, name } = identity
  return Hello.encode({
    version: PROTOCOL_VERSION,
    featureLevel,
    clusterId,
    role,
    name,
    nonce: random.bytes(NONCE_BYTES),
  })
}

function acceptHello(encoded: Uint8Array, options: HandshakeOptions): PeerIdentity {
  const { identity, certifiedRoles } = options
  const hello = decodeHello(encoded)
  if (hello.version !== PROTOCOL_VERSION) {
    throw rejected(`${hello.role} speaks protocol ${hello.version}, ${identity.role} ${PROTOCOL_VERSION}`)
  }
  if (hello.nonce.length !== NONCE_BYTES) throw rejected('nonce of a wrong size')
  if (hello.clusterId !== '' && identity.clusterId !== '' && hello.clusterId !== identity.clusterId) {
    throw rejected(
      `${hello.role} is of cluster ${hello.clusterId}, ${identity.role} of ${identity.clusterId}`,
    )
  }
  checkCertificate(hello.role, certifiedRoles?.())
  return { role: hello.role, name: hello.name }
}

/** ● With certificates a peer is what its own names, whatever it says. */
function checkCertificate(role: string, certified: readonly string[] | undefined): void {
  if (certified === undefined || certified.includes(role)) return
  const named = certified.length === 0 ? 'no role' : `role ${certified.join(', ')}`
  throw rejected(`${role} shows a certificate of ${named}`)
}

function decodeHello(encoded: Uint8Array): Hello {
  try {
    return Hello.decode(encoded)
  } catch (cause) {
    throw rejected('hello cannot be read', cause)
  }
}

interface Transcript {
  readonly direction: 'client' | 'server'
  readonly hello: Uint8Array
  readonly challenge: Uint8Array
}

function prove(identity: HandshakeIdentity, transcript: Transcript): Buffer {
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32LE(transcript.hello.length, 0)
  lengths.writeUInt32LE(transcript.challenge.length, 4)
  return createHmac('sha256', identity.clusterSecret)
    .update(`cairn-rpc-${transcript.direction}\0`)
    .update(lengths)
    .update(transcript.hello)
    .update(transcript.challenge)
    .digest()
}

function checkProof(given: Uint8Array, expected: Buffer): void {
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw rejected('peer did not prove the cluster secret')
  }
}

function expectType(type: number, expected: number): void {
  if (type !== expected) throw rejected(`frame of type ${type} where the handshake wants ${expected}`)
}

function rejected(reason: string, cause?: unknown): CairnError {
  return new CairnError('PeerRejected', reason, { cause })
}

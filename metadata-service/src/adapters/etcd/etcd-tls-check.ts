/**
 * Why a member of etcd cannot be reached over TLS: gRPC only says that it is unavailable, and tries for ever, where a
 * certificate that one side refuses needs a person.
 */
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { CairnError } from '@cairn/protocol'
import type { EtcdTls } from './etcd-endpoint.js'

/** Resolves with the refusals of and by those members that are asked over TLS and answer; none for one that fits. */
export async function findTlsTroubles(options: {
  readonly endpoints: readonly string[]
  readonly tls?: EtcdTls
  readonly attemptMs: number
}): Promise<CairnError[]> {
  const { endpoints, tls, attemptMs } = options
  const secure = endpoints.filter(
    (name) => name.startsWith('https://') || (tls !== undefined && !name.includes('://')),
  )
  const troubles = await Promise.all(
    secure.map((name) => findTlsTrouble(name.replace(/^https:\/\//, ''), tls ?? {}, attemptMs)),
  )
  return troubles.filter((trouble) => trouble !== undefined)
}

/** Resolves with the refusal, or with `undefined` if the handshake succeeds or nobody answers. */
function findTlsTrouble(address: string, tls: EtcdTls, timeoutMs: number): Promise<CairnError | undefined> {
  const { hostname, port } = new URL(`https://${address}`)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(port || 443),
      servername: isIP(host) === 0 ? host : '',
      ALPNProtocols: ['h2'],
      ...tls,
    })
    const end = (trouble?: CairnError): void => {
      socket.destroy()
      resolve(trouble)
    }
    socket.setTimeout(timeoutMs, () => end())
    // A refusal of our own certificate comes after the handshake; etcd's first bytes come only if it was taken.
    socket.on('data', () => end())
    socket.on('close', () => end())
    socket.on('error', (error: NodeJS.ErrnoException) => {
      end(isOfCertificates(error) ? refusal(address, error) : undefined)
    })
  })
}

/** Errors of Node's verification and TLS alerts; what the network says is none of them. */
function isOfCertificates({ code = '', syscall }: NodeJS.ErrnoException): boolean {
  return syscall === undefined && /CERT|SIGNATURE|ALERT|TLS|SSL|ISSUER|UNABLE/.test(code)
}

function refusal(address: string, cause: Error): CairnError {
  return new CairnError(
    'PeerRejected',
    `the certificates of ${address} and ours do not fit: ${cause.message}`,
    {
      cause,
    },
  )
}

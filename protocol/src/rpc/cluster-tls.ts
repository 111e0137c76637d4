/**
 * Mutual TLS between the services: version 1.3, both sides show a certificate that the cluster's authority has signed,
 * and each certificate names the roles of its holder as URIs `cairn:role/<role>` among its subject alternative names.
 * Host names are not compared: addresses come from the cluster map, and what counts is the role.
 *
 * No session is resumed, so that every connection is judged by the certificates as they are now. A connection that is
 * open lives on when the files change.
 */
import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext, type TLSSocket, type TlsOptions } from 'node:tls'
import { CairnError } from '../errors.js'

/** PEM texts. */
export interface ClusterTls {
  /** Of the authority that signs for the cluster, and of no other. */
  readonly ca: string
  /** The chain of this process. */
  readonly cert: string
  readonly key: string
}

/** Gives the certificates as they are now; the same object as long as they are the same. */
export interface ClusterTlsSource {
  current(): ClusterTls
}

const ROLE_URI = /^URI:cairn:role\/([a-z]+)$/

/** What both sides demand of a connection. */
export const TLS_RULES: Pick<TlsOptions, 'minVersion' | 'maxVersion' | 'secureOptions'> = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
}

/** The roles that a certificate names: `subjectAltName` as Node writes it. */
export function rolesInNames(subjectAltName: string | undefined): readonly string[] {
  // A quoted name holds characters by which it could pass for several.
  if (subjectAltName === undefined || subjectAltName.includes('"')) return []
  return subjectAltName.split(', ').flatMap((name) => ROLE_URI.exec(name)?.[1] ?? [])
}

/** The roles of the other end of an established connection. */
export function certifiedRolesOf(socket: TLSSocket): readonly string[] {
  return socket.authorized ? rolesInNames(socket.getPeerX509Certificate()?.subjectAltName) : []
}

/** Makes contexts from what a source gives, each once. */
export class TlsContexts {
  private readonly source: ClusterTlsSource
  private known: { readonly tls: ClusterTls; readonly context: SecureContext } | undefined

  constructor(source: ClusterTlsSource) {
    this.source = source
  }

  current(): SecureContext {
    const tls = this.source.current()
    if (this.known?.tls !== tls) {
      const { ca, cert, key } = tls
      this.known = { tls, context: createSecureContext({ ca, cert, key, ...TLS_RULES }) }
    }
    return this.known.context
  }
}

/** Whose certificate was refused, and why; other errors as they are. */
export function tlsRefusal(other: string, error: Error): Error {
  const { code = '', syscall } = error as NodeJS.ErrnoException
  if (syscall !== undefined || !/CERT|SIGNATURE|ALERT|TLS|SSL|ISSUER|UNABLE|EPROTO/.test(code)) return error
  return new CairnError('PeerRejected', `no TLS with ${other}: ${error.message}`, { cause: error })
}

/**
 * Why a peer hung up that had shown a good certificate but said nothing: nobody tells a caller that it is not trusted.
 */
export function tlsSilence(other: string, cause: Error | undefined): CairnError {
  const words = `${other} hung up after the TLS handshake: it may not have trusted our certificate`
  return new CairnError('ConnectionLost', words, { cause })
}

/** Why no TLS came about with a caller; Node tells of a certificate that it has refused only at the socket. */
export function callerRefused(socket: TLSSocket, cause: Error): CairnError {
  const caller = socket.remoteAddress ?? 'a caller'
  // A code, whatever its type says.
  const reason = socket.authorizationError as unknown
  const words = reason == null ? cause.message : `its certificate is refused: ${reason}`
  return new CairnError('PeerRejected', `no TLS with ${caller}: ${words}`, { cause })
}

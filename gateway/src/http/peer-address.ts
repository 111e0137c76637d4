/** Who is at the other end of a connection: for lists of trusted proxies, and for limits. */
import { isIPv4, isIPv6 } from 'node:net'

const MAPPED = '::ffff:'
/** Groups of an IPv6 address, and those that name the network of one customer. */
const GROUPS = 8
const NETWORK_GROUPS = 4

/** IPv4 peers of a listener for both families come in IPv6's clothes. Empty for a socket that is gone. */
export function peerAddressOf(socket: { readonly remoteAddress?: string | undefined }): string {
  const address = socket.remoteAddress ?? ''
  if (!address.startsWith(MAPPED)) return address
  const bare = address.slice(MAPPED.length)
  return isIPv4(bare) ? bare : address
}

/** What a limit for one address counts: an IPv6 customer has a whole network of 2^64 addresses to come from. */
export function networkOf(address: string): string {
  if (!address.includes(':') || !isIPv6(address)) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')]
  const zeros = tail === undefined ? 0 : GROUPS - before.length - after.length
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after]
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`
}

/** An IPv4 address at the end takes the place of two. */
function groupsOf(text: string): readonly string[] {
  return text === '' ? [] : text.split(':').flatMap((group) => (isIPv4(group) ? [group, group] : [group]))
}

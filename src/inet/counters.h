/* SPDX-License-Identifier: MIT */
/* The counters of a stack: a name and one sentence each. Every dropped frame is counted by its reason. */
#ifndef INET_COUNTERS_H
#define INET_COUNTERS_H

#define INET_COUNTERS(X)                                                                                               \
    X(frames_in, "Frames given to the stack")                                                                          \
    X(frames_out, "Frames the device took")                                                                            \
    X(transmit_refused, "Frames the device had no room for")                                                           \
    X(transmit_dropped, "Frames lost because the device refused them and nobody sends them again")                     \
    X(no_memory, "Frames or state given up for want of memory")                                                        \
    X(eth_short, "Frames shorter than an Ethernet header")                                                             \
    X(eth_other_host, "Frames for another MAC address")                                                                \
    X(eth_bad_source, "Frames whose source is a group address")                                                        \
    X(eth_unknown_type, "Frames of a type the stack does not speak")                                                   \
    X(arp_bad, "ARP packets with bad lengths, types or addresses")                                                     \
    X(arp_not_for_us, "ARP requests for addresses that are not ours")                                                  \
    X(arp_off_link, "ARP packets whose sender is not on our link")                                                     \
    X(arp_conflicts, "ARP packets of others that use our address")                                                     \
    X(arp_requests_out, "ARP requests sent")                                                                           \
    X(arp_replies_out, "ARP replies sent")                                                                             \
    X(arp_rate_limit, "Answers to strangers dropped because too many neighbours were asked for")                       \
    X(neighbour_limit, "Neighbours forgotten because the cache was full")                                              \
    X(neighbour_queue_limit, "Packets dropped or held back because too many waited for neighbours")                    \
    X(neighbour_failed, "Packets dropped because their neighbour did not answer")                                      \
    X(ip_bad_header, "IP packets with a bad version, header length or total length")                                   \
    X(ip_bad_checksum, "IP packets with a bad header checksum")                                                        \
    X(ip_bad_options, "IP packets with malformed options or a source route")                                           \
    X(ip_bad_source, "IP packets whose source cannot be one")                                                          \
    X(ip_other_host, "IP packets for another address")                                                                 \
    X(ip_link_broadcast, "IP packets for one host in a frame for many")                                                \
    X(ip_unknown_protocol, "IP packets of a protocol the stack does not speak")                                        \
    X(ip_no_route, "IP packets without a route to their destination")                                                  \
    X(ip_too_big, "IP packets too large for the link that may not be fragmented")                                      \
    X(ip_fragments_in, "IP fragments received")                                                                        \
    X(ip_fragments_out, "IP fragments sent")                                                                           \
    X(ip_reassembled, "IP packets put together from fragments")                                                        \
    X(ip_fragment_bad, "IP fragments with impossible offsets or lengths")                                              \
    X(ip_fragment_overlap, "IP packets given up because fragments overlapped")                                         \
    X(ip_fragment_timeout, "IP packets given up because fragments were missing")                                       \
    X(ip_fragment_limit, "IP packets given up because fragments held too much memory")                                 \
    X(loopback_limit, "Packets to ourselves dropped because too many were under way")                                  \
    X(icmp_bad, "ICMP messages with a bad length or checksum")                                                         \
    X(icmp_unknown, "ICMP messages of a type that is not acted on")                                                    \
    X(icmp_unmatched, "ICMP errors that name no live flow")                                                            \
    X(icmp_echo_replies, "Echo requests answered")                                                                     \
    X(icmp_errors_out, "ICMP errors sent")                                                                             \
    X(icmp_rate_limit, "ICMP errors not sent because of their rate")                                                   \
    X(path_mtu_lowered, "Path MTUs lowered because a router could not forward")                                        \
    X(udp_bad_header, "UDP datagrams with a bad length or without a source port")                                      \
    X(udp_bad_checksum, "UDP datagrams with a bad checksum")                                                           \
    X(udp_no_port, "UDP datagrams for a port nobody receives on")                                                      \
    X(udp_receive_limit, "UDP datagrams dropped because those before were not received")                               \
    X(tcp_bad_header, "TCP segments with a bad length, without ports, or sent to more than us")                        \
    X(tcp_bad_checksum, "TCP segments with a bad checksum")                                                            \
    X(tcp_no_port, "TCP segments for no connection and no listener")                                                   \
    X(tcp_unacceptable, "TCP segments outside the window or without what their state wants")                           \
    X(tcp_paws, "TCP segments refused as old by their timestamp")                                                      \
    X(tcp_bad_ack, "TCP segments that acknowledge what was not sent or is long past")                                  \
    X(tcp_bad_reset, "Resets that do not fit exactly")                                                                 \
    X(tcp_resets_in, "Connections ended by the peer with a reset")                                                     \
    X(tcp_resets_out, "Resets sent to segments without a connection")                                                  \
    X(tcp_challenges, "Challenge ACKs sent")                                                                           \
    X(tcp_challenge_limit, "Challenge ACKs, and answers to stale ones, not sent because of their rate")                \
    X(tcp_beyond_window, "TCP segments whose end lay beyond the window and was cut")                                   \
    X(tcp_out_of_order_limit, "TCP segments out of order dropped: their connection pins too much")                     \
    X(tcp_out_of_order_pruned, "Connections whose data out of order was given up for want of memory")                  \
    X(tcp_memory_limit, "TCP segments dropped because the stack's memory for received data was full")                  \
    X(tcp_orphan_limit, "Connections reset at close because too many closed ones are kept")                            \
    X(tcp_orphans_ended, "Closed connections reset because their peer acknowledged nothing new for too long")          \
    X(tcp_time_wait_limit, "Connections that ended without TIME_WAIT because too many are in it")                      \
    X(tcp_data_after_close, "Connections reset because data came that nobody is going to read")                        \
    X(tcp_syn_limit, "SYNs dropped because too many connections wait to be accepted")                                  \
    X(tcp_cookies_out, "SYNs answered with a cookie because too many were half open")                                  \
    X(tcp_cookies_in, "Connections made of a cookie that came back")                                                   \
    X(tcp_accept_limit, "Handshakes held up because too many connections wait to be accepted")                         \
    X(tcp_tso_frames, "Frames of several TCP segments, for the device to cut")                                         \
    X(tcp_retransmits, "TCP segments sent again")                                                                      \
    X(tcp_rto, "Retransmission timers that expired")                                                                   \
    X(tcp_loss_probes, "Tail loss probes sent")                                                                        \
    X(tcp_recoveries, "Recoveries begun because of losses found")                                                      \
    X(tcp_undone, "Recoveries undone because nothing was lost")                                                        \
    X(tcp_scoreboard_steps, "Entries of scoreboards visited for SACK blocks, losses and undone recoveries")            \
    X(tcp_timeouts, "Connections given up because the peer did not answer")                                            \
    X(tcp_keepalive_ended, "Connections ended because keepalive got no answer")

#endif

//! A stream gives the same frames however it is cut into reads. Input: the length of the reads, and the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signalbox_sip::framing::{Frame, Framer};

fuzz_target!(|input: &[u8]| {
    let [length, stream @ ..] = input else { return };
    let length = usize::from(*length).max(1);
    let whole = frames([stream].into_iter());
    let pieces = frames(stream.chunks(length));
    assert_eq!(whole, pieces);
});

/// What came out, in short.
fn frames<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Vec<(String, Vec<u8>)> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for read in reads {
        framer.push(read);
        while let Some(frame) = framer.next() {
            frames.push(match frame {
                Ok(Frame::Message(message)) => ("message".to_owned(), message.to_bytes()),
                Ok(Frame::Bad(error)) => {
                    (format!("refused: {error}"), error.reply().map(|reply| reply.to_bytes()).unwrap_or_default())
                }
                Ok(Frame::Ping) => ("ping".to_owned(), Vec::new()),
                Ok(Frame::Pong) => ("pong".to_owned(), Vec::new()),
                Err(error) => (error.to_string(), error.reply().map(|reply| reply.to_bytes()).unwrap_or_default()),
            });
        }
    }
    frames
}

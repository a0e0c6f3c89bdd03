//! RFC 3261: SIP.

mod forks;
mod section_10_3;
mod section_12;
mod section_16_10;
mod section_16_11;
mod section_16_3;
mod section_16_4;
mod section_16_5;
mod section_16_6;
mod section_16_7;
mod section_16_8;
mod section_17_1_1;
mod section_17_1_2;
mod section_17_2_1;
mod section_17_2_2;
mod section_17_2_3;
mod section_18_2_1;
mod section_18_2_2;
mod section_18_4;
mod section_21_5_4;
mod section_22;
mod section_8_2_2_2;
mod section_8_2_2_3;
mod section_9_1;
mod section_9_2;
